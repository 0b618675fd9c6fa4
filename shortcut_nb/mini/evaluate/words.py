"""The bars of the model card in plain words, for whoever reads it as a table."""

from __future__ import annotations

WORDS = {
    "vae.psnr_clean": "autoencoder: clean pictures kept (PSNR, dB)",
    "vae.psnr_noisy": "autoencoder: noisy pictures kept (PSNR, dB)",
    "vae.attributes_lost": "autoencoder: traits lost on the way (points)",
    "clip.person_vs_pattern": "CLIP: tells people from noise patterns (share)",
    "clip.clean_vs_noisy": "CLIP: tells clean pictures from noisy ones (share)",
    "clip.recall_at_1_over_chance": "CLIP: finds a caption's picture (times chance)",
    "identity.auc_clean": "identity encoder: same person or not (AUC)",
    "attributes.accuracy": "trait reader: traits right (share)",
    "damage.auc": "measure of damage: clean or damaged (AUC)",
    "damage.monotone": "measure of damage: more damage, lower score (share)",
    "detector.found": "face detector: faces found (share)",
    "detector.false_alarms": "face detector: false alarms (share)",
    "purifiers.likeness_restorer": "restorer: likeness kept on clean pictures (cosine)",
    "purifiers.likeness_ddspure": "DDSPure: likeness kept on clean pictures (cosine)",
    "purifiers.likeness_sr": "upscaler: likeness kept on clean pictures (cosine)",
    "purifiers.psnr_sr": "upscaler: clean pictures kept (PSNR, dB)",
    "text_to_image.found": "text to image: a face in the picture (share)",
    "text_to_image.obeyed": "text to image: traits asked for and drawn (share)",
    "text_to_image.noisy_prompt_is_noisy": "text to image: noise asked for and drawn (share)",
    "text_to_image.kid": "text to image: distance to real avatars (KID)",
    "copies.closeness": "samples nearer to training pictures than new ones: medians (factor)",
    "copies.closest": "samples nearer to training pictures than new ones: nearest (factor)",
    "ensemble.found": "second text to image: a face in the picture (share)",
    "personalisation.reached": "personalisation: likeness, of what real pictures reach (share)",
    "clip_plain.recall_to_other": "CLIP without words for noise: finds pictures (times the other)",
    "identity_hardened.auc_clean": "encoder that looks through noise: same person or not (AUC)",
    "identity_hardened.auc_noisy": "encoder that looks through noise: the same, noisy (AUC)",
}
"""What each bar asks, by its key; what the number is, in brackets."""
