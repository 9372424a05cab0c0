"""What a trained run is used for: classify, evaluate, compare with an external system, export."""
