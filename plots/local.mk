# SPDX-License-Identifier: MIT

nobase_dist_pkgdata_DATA += \
	%D%/breakeven.gp \
	%D%/crossing.gp \
	%D%/levels.gp \
	%D%/lines.gp \
	%D%/pages.gp \
	%D%/pareto.gp \
	%D%/percentiles.gp \
	%D%/resident.gp \
	%D%/rows.gp \
	%D%/style.gp
