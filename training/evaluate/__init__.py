"""How good a text-to-picture model is: a fixed list of prompts, drawn by Nutshell, read by the judge."""
