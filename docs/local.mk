# SPDX-License-Identifier: MIT

# Beside README.md, so that its links work where it is installed.
nobase_dist_doc_DATA =
