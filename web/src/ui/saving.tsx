/** Have the browser keep what is at an address as a file, under the last part of a name. */
export function saveAs(address: string, name: string): void {
  const link = document.createElement("a");
  link.href = address;
  link.download = name.split("/").at(-1) ?? "file";
  link.click();
}
