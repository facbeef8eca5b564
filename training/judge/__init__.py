"""The judge: which things, colours, sizes and relations a picture shows, and features for Frechet distance."""
