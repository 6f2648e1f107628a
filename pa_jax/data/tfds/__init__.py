"""Episodes as TensorFlow Datasets of ArrayRecord files, written and read without TensorFlow."""
