// Pictures as files: brought to a bearable size, and saved from a canvas.

// A phone's photograph has twelve million pixels, no model here draws more than one million.
const LONGEST = 1024;

export const KINDS = ["image/png", "image/jpeg", "image/webp"];

// The picture of a file, turned as it was taken, on a new canvas no longer than LONGEST. Rejects what is no picture.
export async function canvasOf(file) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, LONGEST / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(8, Math.round(bitmap.width * scale));
  canvas.height = Math.max(8, Math.round(bitmap.height * scale));
  const brush = canvas.getContext("2d");
  brush.imageSmoothingQuality = "high";
  brush.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return canvas;
}

export const pngOf = (canvas) => new Promise((done) => canvas.toBlob(done, "image/png"));

// The first picture among what was dropped or pasted.
export const pictureIn = (transfer) => [...(transfer?.files ?? [])].find((file) => file.type.startsWith("image/"));
