"""CheXbert, the report labeler of Smit et al. (arXiv 2004.09167): its published weights, loaded strictly.

`eval.chexbert.labeler.load_chexbert` is where to start; it needs the `torch` extra. `eval.chexbert.csv_file` reads and
writes the original labeler's table and needs nothing.
"""
