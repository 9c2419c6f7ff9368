"""From a manifest to what there is to do, what is wrong with it, and how long it takes. Reads, never renders."""
