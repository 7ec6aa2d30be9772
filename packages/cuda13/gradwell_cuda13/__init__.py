"""The library that gradwell loads for device="cuda"; there is nothing to call here."""
