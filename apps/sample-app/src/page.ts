import type { LedgerRow } from './ledger.ts';

/** The sample's only page: who answers, and the last rows whoever wrote them. */
export function renderPage(serverName: string, rows: readonly LedgerRow[], total: number): string {
  const lines = rows.map(
    (row) =>
      `<tr><td>${escapeHtml(row.id)}</td><td>${escapeHtml(row.server)}</td><td>${row.writtenAt.toISOString()}</td></tr>`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="refresh" content="1">
<title>Sample application on ${escapeHtml(serverName)}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.2rem .8rem .2rem 0;border-bottom:1px solid #ddd}</style>
</head>
<body>
<h1>Answered by ${escapeHtml(serverName)}</h1>
<p>${total} rows, one more every second. The last ones:</p>
<table><thead><tr><th>Row</th><th>Written by</th><th>At</th></tr></thead><tbody>
${lines.join('\n')}
</tbody></table>
</body>
</html>
`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
