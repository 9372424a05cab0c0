"""The page by question: each section has its rows, table, chart and sentences in one file."""
