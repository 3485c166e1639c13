"""The paper's experiment as one file: encoders and pretraining sizes, one report generator each, their scores."""
