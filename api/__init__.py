"""The program: settings, worker, command line, HTTP API and the page of the day."""
