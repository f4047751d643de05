"""Ways out of agentopt: pictures of graphs, and evaluations and tasks in the form of inspect-ai."""
