"""``python -m agentopt``: the command line."""

from agentopt.cli import main

if __name__ == "__main__":
    main()
