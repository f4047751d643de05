"""Ways out of agentopt: pictures of graphs, and subscribers for other tools."""
