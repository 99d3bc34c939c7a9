"""Optical character recognition: the text of scanned pages and of pictures, recognised in a confined process.

Needs the extra ``ocr``: RapidOCR, its models, and onnxruntime.
"""
