"""Read PDF with PDFium: reader.py drives pdfium.py (the C library), page_text.py, layout.py and the rest."""
