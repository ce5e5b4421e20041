"""An append-only log of JSON lines that survives crashes and can be checked with `sha256sum`.

Usable alone; it knows nothing of speech. The format and its promises are docs/format.md.

Example:
    from eventlog.store import Store

    store = Store("/var/lib/shop/logs")
    opened = store.open_writer("order-17", run="01", create=True)
    opened.writer.append([("order.placed", {"items": 3})], run="01")
    opened.writer.close()
    for record in store.read("order-17").records:
        print(record.seq, record.type, record.data)
"""
