"""Audits labelled frames before training: consistency of labels, duplicates, outliers, units."""
