"""The dataset of studies: row types, and the sections and sentences of a report."""
