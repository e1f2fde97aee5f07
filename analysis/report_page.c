/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "analysis/report_page.h"
#include "analysis/svg.h"

#ifndef PACKAGE_STRING
#define PACKAGE_STRING	"faultline"
#endif

static const char style[] =
"*{box-sizing:border-box}\n"
"html{-webkit-text-size-adjust:100%;text-size-adjust:100%}\n"
"body{margin:0;background:var(--paper);color:var(--text);"
"font:16px/1.55 system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}\n"
"main{max-width:70rem;margin:0 auto;padding:2.5rem 1.25rem 4rem}\n"
"h1{font-size:1.75rem;line-height:1.2;font-weight:650;margin:0 0 .35rem;letter-spacing:-.01em}\n"
"h2{font-size:1.2rem;font-weight:650;margin:3rem 0 .6rem;padding-top:.9rem;border-top:1px solid var(--grid)}\n"
"h3{font-size:1rem;font-weight:650;margin:2rem 0 .1rem}\n"
"p{margin:.4rem 0;max-width:46rem}\n"
"ul{margin:.4rem 0;padding-left:1.2rem;max-width:54rem}li{margin:.3rem 0}li b{font-weight:600}\n"
".sub,.note,figcaption,.foot{color:var(--muted)}\n"
".sub{margin:0 0 1.4rem;max-width:none}.note,figcaption,.foot{font-size:.875rem}.note{max-width:60rem}\n"
"sup{font-size:.7em;line-height:0}\n"
"nav{font-size:.875rem;margin:1.1rem 0 0;display:flex;flex-wrap:wrap;gap:.1rem 1.1rem}\n"
"a{color:inherit;text-decoration-color:var(--muted);text-underline-offset:.18em}\n"
".stamp{border:1px solid var(--grid);border-left:6px solid var(--ok);border-radius:4px;padding:.8rem 1.1rem}\n"
".stamp b{font-size:1.15rem;letter-spacing:.06em;color:var(--ok)}\n"
".stamp.bad{border:2px solid var(--bad);border-left-width:12px}\n"
".stamp.bad b{font-size:1.6rem;color:var(--bad)}\n"
".stamp p{margin:.25rem 0 0;max-width:60rem}\n"
".warn{border-left:6px solid var(--grid);padding:.2rem 1.1rem;margin:1rem 0}\n"
".scroll{overflow-x:auto;margin:.6rem 0;-webkit-overflow-scrolling:touch}\n"
"table{border-collapse:collapse;font-size:.875rem;line-height:1.35;font-variant-numeric:tabular-nums}\n"
"th,td{padding:.28rem .65rem;text-align:left;vertical-align:baseline;white-space:nowrap}\n"
"th:first-child,td:first-child{padding-left:0}\n"
"thead th{font-weight:500;color:var(--muted);border-bottom:1px solid var(--muted);vertical-align:bottom}\n"
"tbody th{font-weight:400}\n"
"tbody tr+tr>*{border-top:1px solid var(--grid)}\n"
"tr.control>*{color:var(--muted)}\n"
".n{text-align:right}.i,thead .i{color:var(--muted);padding-left:0}\n"
".best{font-weight:700}.none{color:var(--muted)}\n"
".why{white-space:normal;min-width:14rem;color:var(--muted)}\n"
".text td,.wrap{white-space:normal}.wrap{min-width:6rem}\n"
".dot{display:inline-block;width:.65em;height:.65em;border-radius:50%;background:var(--k);margin-right:.5em}\n"
"td.forest{vertical-align:middle}.bar{display:block;width:150px;height:15px}\n"
".bar path{stroke:var(--k);stroke-width:1.6}.bar circle{fill:var(--k)}.bar .one{stroke:var(--muted);stroke-width:1}\n"
".axis{display:flex;justify-content:space-between;width:150px;font-weight:400}\n"
"figure{margin:1rem 0 2rem}figcaption{margin-top:.6rem;max-width:60rem}\n"
"figure svg{display:block;width:100%;height:auto;overflow:visible;font-family:inherit}"
"figure text{stroke:none;font-size:" FL_SVG_FONT_PX "px}\n"
".narrow{display:none}\n"
".missing{border:1px dashed var(--muted);border-radius:4px;padding:1rem 1.2rem;color:var(--muted);max-width:46rem}\n"
"dl{display:grid;grid-template-columns:minmax(9rem,max-content) 1fr;gap:.1rem 1.2rem;font-size:.875rem;margin:.4rem 0}\n"
"dt{color:var(--muted)}dd{margin:0;overflow-wrap:anywhere}\n"
"pre{background:var(--well);border-radius:4px;padding:.8rem 1rem;overflow-x:auto;font-size:.8125rem;line-height:1.45}\n"
"code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace}\n"
"summary{cursor:pointer;color:var(--muted)}\n"
"section{margin-top:2rem}details{margin:.6rem 0}small{color:var(--muted);font-size:.8125rem}\n"
".tag{display:inline-block;border-radius:3px;padding:0 .45em;font-size:.75rem;font-weight:600;letter-spacing:.03em;"
"border:1px solid currentColor;white-space:nowrap}\n"
".tag.yes{color:var(--ok)}.tag.no{color:var(--bad)}.tag.open{color:var(--muted)}\n"
".says details{margin:.2rem 0 0}.says summary{font-size:.8125rem}.says pre{white-space:pre-wrap;margin:.3rem 0}"
".says{min-width:14rem}.text td.i,.text td.n{white-space:nowrap}\n"
"@media (max-width:640px){main{padding:1.5rem 1rem 3rem}h1{font-size:1.4rem}"
".wide{display:none}.narrow{display:block}.extra{display:none}"
"dl{grid-template-columns:1fr}dd{margin-bottom:.4rem}"
".scroll th:first-child{position:sticky;left:0;background:var(--paper)}"
".aside svg{min-width:44rem}"
".claims thead{display:none}.claims,.claims tbody{display:block}"
".claims tr{display:flex;flex-wrap:wrap;align-items:baseline;gap:.1rem .6rem;padding:.5rem 0;border-top:1px solid var(--grid)}"
".claims tr>*{border:0!important;padding:0}.scroll .claims th:first-child{position:static;overflow-wrap:anywhere;white-space:normal;flex:1 1 9rem;font-weight:600}"
".claims .nr:not(:empty)::before{content:'n = '}.claims .says{flex:1 1 100%;min-width:0}.claims pre{max-width:calc(100vw - 2rem)}}\n"
"@media print{@page{margin:1.2cm 1.3cm}body{font-size:8.5pt;line-height:1.3}main{max-width:none;padding:0}nav,.again,details{display:none}"
".wide{display:none}.narrow{display:block}.extra{display:table-cell}h2{margin-top:1.2rem}"
".span{column-span:all}.span .wide{display:block}.span .narrow{display:none}.plots .missing{padding:.3rem .6rem;font-size:7pt}"
".stamp{padding:.3rem .8rem}.plots{columns:2;column-gap:1.5rem}.plots svg{max-height:24cm}.plots .span svg{max-height:9cm}dl{font-size:7pt;gap:0 .8rem}figure{margin:.4rem 0 .8rem}figcaption{font-size:7pt}"
"h2,h3,h4{break-after:avoid;font-size:9.5pt}h2{font-size:12pt}tr,figure,.plot,.stamp{break-inside:avoid}"
".scroll{overflow:visible}table{font-size:7pt}th,td{padding:.1rem .3rem}.says{min-width:20rem}small,.tag{font-size:6.5pt}.note{font-size:7.5pt}.bar,.axis{width:90px}pre{white-space:pre-wrap}}\n";

static void put_colours(const struct fl_page *p, bool dark)
{
	static const char *const base[][3] = {
		{ "paper", "#ffffff", "#15171a" },
		{ "text", "#1f2328", "#e4e7ea" },
		{ "muted", "#5b636b", "#9aa3ad" },
		{ "grid", "#e4e7ea", "#2d3238" },
	};

	html(p, ":root{");
	/* The page has these without the palette, too. */
	for (size_t i = 0; i < sizeof(base) / sizeof(*base); i++) {
		const char *value = base[i][1 + dark];

		for (size_t k = 0; k < p->palette->nr; k++)
			if (!strcmp(p->palette->colours[k].name, base[i][0]))
				value = dark ? p->palette->colours[k].dark :
					       p->palette->colours[k].light;
		html(p, "--%s:%s;", base[i][0], value);
	}
	html(p, dark ? "--well:#1f2328;--ok:#4cc38a;--bad:#ff7b72;" :
		       "--well:#f4f5f7;--ok:#0f7b4b;--bad:#b42318;");
	for (size_t k = 0; k < p->palette->nr; k++)
		html(p, "--c%zu:%s;", k, dark ? p->palette->colours[k].dark :
						p->palette->colours[k].light);
	html(p, "}");
}

void fl_page_begin(const struct fl_page *p, const char *title)
{
	html(p, "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n"
	     "<meta name=viewport content=\"width=device-width,initial-scale=1\">\n"
	     "<meta name=color-scheme content=\"light dark\">\n<title>");
	put(p, title);
	html(p, "</title>\n<style>\n:root{color-scheme:light dark}\n");
	put_colours(p, false);
	html(p, "\n@media (prefers-color-scheme:dark){");
	put_colours(p, true);
	html(p, "}\n@media print{");
	put_colours(p, false);
	html(p, "}\n%s</style>\n</head>\n<body>\n<main>\n", style);
}

void fl_page_end(const struct fl_page *p)
{
	html(p, "<p class=foot>Written by %s from results.jsonl and campaign.json.</p>\n"
	     "</main>\n</body>\n</html>\n", PACKAGE_STRING);
}
