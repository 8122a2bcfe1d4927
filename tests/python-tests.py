"""Runs one of CPython's own test modules and writes a line a test: its id, and what came of it.

usage: python-tests.py RESULTS MODULE [PREFIX...]   tests whose id starts with a PREFIX are left out
"""

import sys
import unittest


class Lines(unittest.TestResult):
    """The worst that came of each test, written when the test ends."""

    def __init__(self, file):
        super().__init__()
        self.file = file
        self.came = {}

    def put(self, test, came):
        self.came.setdefault(test.id(), came)

    def write(self, test):
        came = self.came.pop(test.id(), "ok")
        print(test.id(), " ".join(came.split()), sep="\t", file=self.file, flush=True)

    def stopTest(self, test):
        super().stopTest(test)
        self.write(test)

    def of_no_test(self, test, came):
        """The set-up of a class or a module has no startTest."""
        self.put(test, came)
        if not isinstance(test, unittest.TestCase):
            self.write(test)

    def addError(self, test, error):
        self.of_no_test(test, f"ERROR {error[0].__name__}: {error[1]}")

    def addFailure(self, test, error):
        self.put(test, f"FAIL {error[1]}")

    def addSkip(self, test, reason):
        self.of_no_test(test, f"skipped {reason}")

    def addSubTest(self, test, subtest, error):
        if error is not None:
            self.put(test, f"FAIL {error[0].__name__}: {error[1]}")

    def addUnexpectedSuccess(self, test):
        self.put(test, "unexpected success")


def each(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from each(test)
        else:
            yield test


def main():
    results, module, *left_out = sys.argv[1:]
    whole = unittest.defaultTestLoader.loadTestsFromName(module)
    left_out = tuple(f"{module}.{prefix}" for prefix in left_out)
    tests = [test for test in each(whole) if not (left_out and test.id().startswith(left_out))]
    with open(results, "w", encoding="utf-8") as file:
        unittest.TestSuite(tests).run(Lines(file))
        print("end", file=file)


if __name__ == "__main__":
    main()
