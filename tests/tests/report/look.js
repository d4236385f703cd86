// What the page shows. An expression: its value is handed to the test.
(() => {
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const text = (element) => element.textContent.replace(/\s+/g, ' ').trim();
  const data = (element) => ({ ...element.dataset, text: text(element) });
  const title = (figure) => text(figure.querySelector('figcaption'));
  const panels = all('figure').filter((f) => f.querySelector('[data-pages]'));

  // As it was loaded, before the tables in <details> are opened to look at them.
  const dark = matchMedia('(prefers-color-scheme: dark)').matches;
  all('details').forEach((d) => { d.open = true; });

  const rgb = (color) => {
    const parts = color.match(/[\d.]+/g).map(Number);
    return parts.slice(0, 3).map((c) => {
      const share = c / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
  };
  const light = (color) => {
    const [r, g, b] = rgb(color);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = light(getComputedStyle(document.body).backgroundColor);
  const contrast = (color) => {
    const [a, b] = [light(color), paper].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  };

  const own = (element) => [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
  const texts = all('body *').filter((e) => own(e) && !['SCRIPT', 'STYLE'].includes(e.tagName))
    .map((element) => {
      const style = getComputedStyle(element);
      const svg = element.ownerSVGElement;
      // A chart in a narrower place is drawn smaller, and its text with it.
      const scale = svg ? svg.getBoundingClientRect().width / svg.viewBox.baseVal.width : 1;
      const color = svg ? style.fill : style.color;
      return { text: text(element), px: parseFloat(style.fontSize) * scale, contrast: contrast(color) };
    });
  const least = (list, of) => list.reduce((a, b) => (of(b) < of(a) ? b : a));
  const smallest = least(texts, (t) => t.px);
  const palest = least(texts, (t) => t.contrast);
  const drawn = all('svg [data-traps], .legend svg > *');
  const ours = new Set(['svg', 'circle', 'rect', 'polygon', 'polyline', 'line', 'text', 'HEADER', 'P',
    'H1', 'H2', 'SPAN', 'UL', 'LI', 'STRONG', 'MAIN', 'SECTION', 'DIV', 'FIGURE', 'FIGCAPTION', 'CODE',
    'TABLE', 'CAPTION', 'THEAD', 'TBODY', 'TR', 'TH', 'TD', 'DETAILS', 'SUMMARY', 'FOOTER']);

  return {
    title: document.title,
    dark,
    width: innerWidth,
    scroll_width: document.documentElement.scrollWidth,
    smallest_px: smallest.px,
    smallest: smallest.text,
    contrast: palest.contrast,
    palest: palest.text,
    mark_contrast: Math.min(...drawn.map((e) => contrast(getComputedStyle(e).fill))),
    unnamed: all('svg:not([aria-label]), svg:not([role=img])').length
      + all('table').filter((t) => !t.caption).length,
    strangers: all('body *').filter((e) => !ours.has(e.tagName) && e !== document.currentScript)
      .filter((e) => !(e.tagName === 'SCRIPT' && e.text.includes('postMessage'))).length,
    cells: all('#traps td[data-kernel]').map(data),
    counts: all('tr[data-operation]').map((tr) => ({
      ...tr.dataset,
      fields: Object.fromEntries(all('td[data-field]', tr).map((td) => [td.dataset.field, text(td)])),
    })),
    sites: all('tr[data-site]').map((tr) => ({
      ...tr.dataset,
      traps: text(tr.querySelector('[data-field=traps]')),
    })),
    lab: all('#lab td[data-workload]').map(data),
    marks: panels.flatMap((figure) => all('[data-pages]', figure).map((mark) => {
      const box = mark.getBoundingClientRect();
      const from = mark.ownerSVGElement.getBoundingClientRect().left;
      return { operation: title(figure), ...mark.dataset, x: box.left + box.width / 2 - from };
    })),
  };
})()
