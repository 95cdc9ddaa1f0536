// Before anything is drawn: the theme that the reader chose, if any; without a choice the page follows the system.
try { const s = localStorage.getItem('mnist-cnn-scheme'); if (s) document.documentElement.dataset.scheme = s; } catch { /* not allowed here */ }
