"""What each stage will take, for this patient, as a distribution of minutes."""
