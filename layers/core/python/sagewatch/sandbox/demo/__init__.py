"""The main job as a story on one machine: attack, alert, swap, saliency, restore. Start with ``story``."""
