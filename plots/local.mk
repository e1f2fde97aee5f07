# SPDX-License-Identifier: MIT

nobase_dist_pkgdata_DATA +=
