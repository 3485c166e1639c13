"""Says what the golden path does to a film, and which mistake explains pixels that are not golden."""

from encoders.doctor.drift import Verdict
from encoders.doctor.examine import Diagnosis, examine
from encoders.doctor.render import render
from encoders.doctor.user_pixels import load_user_tensor, run_user_pipeline

__all__ = ["Diagnosis", "Verdict", "examine", "load_user_tensor", "render", "run_user_pipeline"]
