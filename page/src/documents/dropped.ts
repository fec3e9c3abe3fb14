interface Named {
  file: File;
  name: string;
}

/** What was dropped: files as they are named, and all of a folder by their paths from it on; hidden ones left out. */
export async function dropped(transfer: DataTransfer): Promise<Named[]> {
  // To be asked for at once: they are gone when the event is over.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry());
  const files = [...transfer.files];
  if (entries.every((entry) => entry === null)) return files.map((file) => ({ file, name: file.name }));
  const found: Named[] = [];
  for (const entry of entries) if (entry) await walk(entry, found);
  return found;
}

async function walk(entry: FileSystemEntry, found: Named[]): Promise<void> {
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    found.push({ file, name: entry.fullPath.replace(/^\//, "") });
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return;
    for (const inside of some) if (!inside.name.startsWith(".")) await walk(inside, found);
  }
}
