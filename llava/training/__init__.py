"""The parts of `llava.trainer`: what learns and how, over how many processes, and the states it goes on from."""
