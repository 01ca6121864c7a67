"""What the model may call on this device. One file per tool; ``toolbox`` runs them."""
