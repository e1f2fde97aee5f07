# SPDX-License-Identifier: MIT

nobase_dist_pkgdata_DATA += \
	%D%/01-leaked-pages/README.md \
	%D%/01-leaked-pages/claims.ini \
	%D%/01-leaked-pages/plan.ini \
	%D%/03-break-even/README.md \
	%D%/03-break-even/claims.ini \
	%D%/03-break-even/plan.ini \
	%D%/04-fault-cost/README.md \
	%D%/04-fault-cost/claims.ini \
	%D%/04-fault-cost/plan.ini \
	%D%/05-redirect-matrix/README.md \
	%D%/05-redirect-matrix/claims.ini \
	%D%/05-redirect-matrix/matrix.ini \
	%D%/06-elastic/README.md \
	%D%/06-elastic/plan.ini \
	%D%/07-give-back/README.md \
	%D%/07-give-back/plan.ini \
	%D%/08-large-arrays/README.md \
	%D%/08-large-arrays/claims.ini \
	%D%/08-large-arrays/plan.ini \
	%D%/10-slow-path/README.md \
	%D%/10-slow-path/claims.ini \
	%D%/10-slow-path/plan.ini \
	%D%/11-direction/README.md \
	%D%/11-direction/claims.ini \
	%D%/11-direction/plan.ini \
	%D%/12-read/README.md \
	%D%/12-read/claims.ini \
	%D%/12-read/plan.ini \
	%D%/13-builders/README.md \
	%D%/13-builders/claims.ini \
	%D%/13-builders/plan.ini \
	%D%/14-json/README.md \
	%D%/14-json/plan.ini \
	%D%/README.md \
	%D%/first-light/README.md \
	%D%/first-light/claims.ini \
	%D%/first-light/plan.ini \
	%D%/traces/README.md \
	%D%/traces/httpd-static.trace.xz \
	%D%/traces/postgres-query.trace.xz
