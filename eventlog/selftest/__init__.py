"""The promises of docs/format.md, tried on this machine's own disk and Python within a minute.

It writes only below the folder that it is given, starts processes of its own, and kills no others. Tests of ours
hand it stores that break their promises, to see that it would notice.

Example:
    from eventlog.selftest.bench import Bench
    from eventlog.selftest.suite import selftest

    for result in selftest(Bench("/var/lib/shop/selftest", seed=1), seconds=40):
        print(result.name, result.outcome, result.detail)
"""
