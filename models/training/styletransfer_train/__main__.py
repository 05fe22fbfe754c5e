"""Command line: `python -m styletransfer_train COMMAND ...`"""
import argparse
import importlib

COMMANDS = ("learn", "train", "export", "trim", "quantize", "evaluate", "compare", "everything")


def main():
    parser = argparse.ArgumentParser(prog="styletransfer_train", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in COMMANDS:
        module = importlib.import_module(f".{name}", __package__)
        sub = commands.add_parser(name, help=module.__doc__.splitlines()[0])
        module.add_arguments(sub)
        sub.set_defaults(run=module.run)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
