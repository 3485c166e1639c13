"""`accelerate launch -m encoders.encode ...`: the `encode-images` command for launchers that want a module."""

from encoders.cli import encode_images_main

if __name__ == "__main__":  # decoding processes import the launched module again
    encode_images_main()
