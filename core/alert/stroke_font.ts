// Letters for pictures, as strokes of a pen: a font file would weigh more than all that is drawn with
// it, and a machine that dropwatch runs on has none. Each glyph is a few lines on a grid of 4 × 6 (some
// are wider, and descenders reach to 8), written as pairs of digits, x before y; a space lifts the pen.
const glyphs = {
  " ": "",
  "!": "0004 0606",
  '"': "0002 2022",
  "#": "1016 3036 0242 0444",
  "$": "413010010213334445361605 2026",
  "%": "0010110100 3545463635 4006",
  "&": "46111020210405162644",
  "'": "0002",
  "(": "10010516",
  ")": "00111506",
  "*": "2125 0244 0442",
  "+": "2125 0343",
  ",": "151607",
  "-": "0333",
  ".": "0606",
  "/": "0640",
  "0": "103041453616050110",
  "1": "112026 1636",
  "2": "01103041420646",
  "3": "01103041423313 334445361605",
  "4": "36300444",
  "5": "400002324345361605",
  "6": "413010010516364543321203",
  "7": "004016",
  "8": "103041423313020110 3344453616050413",
  "9": "051636454130100103143443",
  ":": "0202 0606",
  ";": "1212 151607",
  "<": "410345",
  "=": "0242 0444",
  ">": "014305",
  "?": "01103041422324 2626",
  "@": "36160501103041443432121434",
  "A": "062046 1434",
  "B": "06003041423303 3344453606",
  "C": "4130100105163645",
  "D": "00063645413000",
  "E": "40000646 0333",
  "F": "400006 0333",
  "G": "41301001051636454323",
  "H": "0006 4046 0343",
  "I": "0006",
  "J": "3035261605",
  "K": "0006 400346",
  "L": "000646",
  "M": "0600234046",
  "N": "06004640",
  "O": "103041453616050110",
  "P": "06003041423303",
  "Q": "103041453616050110 2446",
  "R": "06003041423303 2346",
  "S": "413010010213334445361605",
  "T": "0040 2026",
  "U": "000516364540",
  "V": "002640",
  "W": "0016325660",
  "X": "0046 4006",
  "Y": "002340 2326",
  "Z": "00400646",
  "[": "10000616",
  "\\": "0046",
  "]": "00101606",
  "^": "022042",
  "_": "0747",
  "`": "0011",
  "a": "0222333616051434",
  "b": "00062635332202",
  "c": "321203051636",
  "d": "30361605031232",
  "e": "043433221203051636",
  "f": "30201116 0222",
  "g": "361605031232372808",
  "h": "0006 02223336",
  "i": "0206 0000",
  "j": "121708 1010",
  "k": "0006 320436",
  "l": "000516",
  "m": "0602324346 2226",
  "n": "0602223336",
  "o": "122233352616050312",
  "p": "08022233352606",
  "q": "38321203051636",
  "r": "0602 031222",
  "s": "3212031424352606",
  "t": "101526 0222",
  "u": "02051636 3236",
  "v": "022642",
  "w": "0216233642",
  "x": "0236 3206",
  "y": "02051636 32372808",
  "z": "02320636",
  "{": "20111203141526",
  "|": "0007",
  "}": "00111223141506",
  "~": "03122332",
  "…": "0606 2626 4646",
};

/** What has no glyph is a box. */
const box = "0030360600";

/** Units of the grid between two glyphs, and those of a capital letter. */
const gap = 2;
const capital = 6;

/** Points, x before y. */
export type Stroke = readonly (readonly [x: number, y: number])[];

interface Glyph {
  readonly strokes: readonly Stroke[];
  readonly width: number;
}

const read = (glyph: string): Glyph => {
  const strokes = glyph.split(" ").filter((stroke) => stroke !== "").map((stroke) =>
    stroke.match(/../g)!.map((pair) => [Number(pair[0]), Number(pair[1])] as const)
  );
  return { strokes, width: Math.max(2 * Number(glyph === ""), ...strokes.flat().map(([x]) => x)) };
};
const font = new Map(Object.entries(glyphs).map(([char, glyph]) => [char, read(glyph)]));
const unknown = read(box);

/** How wide a text is, in the unit of `size`, which is the height of a capital letter. */
export function widthOf(text: string, size: number): number {
  let units = 0;
  for (const char of text) units += (font.get(char) ?? unknown).width + gap;
  return Math.max(0, units - gap) * size / capital;
}

/** The strokes of a text that begins at (0, 0), on the base line. */
export function strokesOf(text: string, size: number): Stroke[] {
  const unit = size / capital;
  const strokes: Stroke[] = [];
  let left = 0;
  for (const char of text) {
    const glyph = font.get(char) ?? unknown;
    const start = left;
    strokes.push(
      ...glyph.strokes.map((stroke) =>
        stroke.map(([x, y]) => [(start + x) * unit, (y - capital) * unit] as const)
      ),
    );
    left += glyph.width + gap;
  }
  return strokes;
}
