# SPDX-License-Identifier: MIT

nobase_dist_pkgdata_DATA += \
	%D%/crossing.gp \
	%D%/resident.gp \
	%D%/style.gp
