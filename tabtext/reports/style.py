"""How a report looks: on a screen, on a phone, on paper."""

__all__ = ["STYLE"]

STYLE = """
:root { --ink: #20242b; --soft: #5b626d; --line: #e1e4e8; --page: #ffffff; --mark: #0072b2; }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; max-width: 68rem; padding: 1.2rem 1rem 3rem; color: var(--ink);
  background: var(--page); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif; }
h1, h2, figcaption, caption, dd { overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .4rem; }
h2 { font-size: 1.25rem; line-height: 1.3; margin: 2.4rem 0 .6rem; padding-top: .8rem;
  border-top: 2px solid var(--line); }
p { max-width: 46rem; margin: .5rem 0; overflow-wrap: anywhere; }
nav { margin: .6rem 0 0; display: flex; flex-wrap: wrap; gap: .1rem 1.1rem; }
nav a { color: var(--mark); padding: .25rem 0; overflow-wrap: anywhere; }
dl { display: grid; gap: .6rem 1rem; margin: .9rem 0;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 9.6rem), 1fr)); }
dt { color: var(--soft); font-size: .85rem; line-height: 1.3; overflow-wrap: anywhere; }
dd { margin: 0; font-weight: 600; font-variant-numeric: tabular-nums; }
.pictures { display: grid; gap: 1.4rem 2rem; margin: .9rem 0;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 26rem), 1fr)); }
.pictures.small { grid-template-columns: repeat(auto-fill, minmax(min(100%, 18rem), 1fr)); }
figure { margin: 0; max-width: 32rem; break-inside: avoid; }
img { width: 100%; height: auto; display: block; }
figcaption { color: var(--soft); font-size: .9rem; margin-top: .2rem; }
.excerpts { max-width: 46rem; }
.excerpts > div { break-inside: avoid; border-top: 1px solid var(--line); padding: .4rem 0 .6rem; }
.excerpts > div > p { color: var(--soft); font-size: .9rem; margin: 0; }
.excerpts figure { max-width: none; }
.tables { display: flex; flex-wrap: wrap; align-items: flex-start; gap: .4rem 3rem; }
/* A shadow at an edge of the box says that the table goes on there. */
.scroll { max-width: 100%; overflow-x: auto; margin: .5rem 0; background:
  linear-gradient(90deg, var(--page) 40%, transparent) 0 0 / 2rem 100% no-repeat local,
  linear-gradient(270deg, var(--page) 40%, transparent) 100% 0 / 2rem 100% no-repeat local,
  linear-gradient(90deg, rgb(0 0 0 / .18), transparent) 0 0 / .7rem 100% no-repeat scroll,
  linear-gradient(270deg, rgb(0 0 0 / .18), transparent) 100% 0 / .7rem 100% no-repeat scroll; }
.low { max-height: 34rem; overflow-y: auto; }
table { border-collapse: collapse; font-size: .92rem; }
caption { text-align: left; color: var(--soft); padding-bottom: .3rem; }
th, td { padding: .3rem 1.1rem .3rem 0; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; max-width: 24rem; overflow-wrap: break-word; }
td:last-child:not(.number) { min-width: 9rem; }
th:last-child, td:last-child { padding-right: .2rem; }
th { color: var(--soft); font-weight: 600; }
.number { text-align: right; }
td.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
@media (max-width: 30rem) { table { font-size: .8rem; } th, td { padding-right: .5rem;
  max-width: 16rem; } h1 { font-size: 1.45rem; } }
@media print { nav { display: none; } body { max-width: none; padding: 0; font-size: 10.5pt; }
  .scroll { overflow: visible; background: none; max-height: none; } table { width: auto;
  font-size: 8pt; } th, td { padding-right: .5rem; max-width: none; overflow-wrap: anywhere; }
  td:last-child:not(.number) { min-width: 0; }
  tr { break-inside: avoid; }
  h2 { break-after: avoid; } thead { display: table-header-group; }
  .pictures { grid-template-columns: 1fr 1fr; }
  .pictures.small { grid-template-columns: 1fr 1fr 1fr; gap: .8rem 1rem; } }
"""
