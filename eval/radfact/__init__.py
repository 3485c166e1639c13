"""RadFact: reports taken apart into phrases, each judged against the other report; logical precision, recall and F1."""
