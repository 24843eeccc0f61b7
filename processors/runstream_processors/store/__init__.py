"""The store's write side: schema, migrations, encoding of blocks, and the engines behind `runstream_service.store`."""
