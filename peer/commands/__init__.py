"""The commands of `homepost` that stand together in a group, a module for each group."""
