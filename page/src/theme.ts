import { createTheme, type MantineColorsTuple } from "@mantine/core";

// Deep mill-race water, from foam to the depth below the wheel.
const race: MantineColorsTuple = [
  "#e6f3f5",
  "#cfe4e8",
  "#a4cdd5",
  "#74b6c2",
  "#58adbb",
  "#2f8796",
  "#157384",
  "#0a6273",
  "#084f5d",
  "#053b46",
];

// The dark scheme's greys, tinted like the rest.
const dark: MantineColorsTuple = [
  "#e3eeef",
  "#c3d4d7",
  "#9db6bc",
  "#7f9aa1",
  "#3a555d",
  "#1b343b",
  "#12272d",
  "#0e2026",
  "#0a1a1f",
  "#08161a",
];

export const theme = createTheme({
  colors: { race, dark },
  primaryColor: "race",
  primaryShade: { light: 7, dark: 3 },
  autoContrast: true,
  defaultRadius: "sm",
  fontFamily: "var(--sans)",
  fontFamilyMonospace: "var(--mono)",
  headings: { fontFamily: "var(--serif)", fontWeight: "560" },
  focusRing: "auto",
  cursorType: "pointer",
  respectReducedMotion: true,
});
