"""Command line: `python -m styletransfer_train train|export ...`"""
import argparse

from . import export, train


def main():
    parser = argparse.ArgumentParser(prog="styletransfer_train", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, module in (("train", train), ("export", export)):
        sub = commands.add_parser(name, help=module.__doc__.splitlines()[0])
        module.add_arguments(sub)
        sub.set_defaults(run=module.run)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
