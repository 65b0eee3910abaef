//! `crossfade.yaml`.
