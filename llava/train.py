"""`accelerate launch -m llava.train CONFIG ...`: the `train-llava` command for launchers that want a module."""

from llava.cli import train_llava_main

if __name__ == "__main__":  # reading processes import the launched module again
    train_llava_main()
