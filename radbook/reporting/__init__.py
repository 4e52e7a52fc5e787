"""How results are shown: sentences, tables, highlighted reports, figures and lists of errors."""
