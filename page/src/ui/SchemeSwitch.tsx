import { useMantineColorScheme, type MantineColorScheme } from "@mantine/core";

const NEXT: Record<MantineColorScheme, MantineColorScheme> = { auto: "light", light: "dark", dark: "auto" };
const NAMES: Record<MantineColorScheme, string> = { auto: "as the system", light: "light", dark: "dark" };

export function SchemeSwitch() {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const next = NEXT[colorScheme];
  return (
    <button
      type="button"
      className="scheme"
      aria-label={`Colours: ${NAMES[colorScheme]}. Change to ${NAMES[next]}`}
      title={`Colours: ${NAMES[colorScheme]}`}
      onClick={() => setColorScheme(next)}
    >
      <svg viewBox="0 0 20 20" width="18" height="18" aria-hidden="true">
        <circle cx="10" cy="10" r="7" fill="none" stroke="currentColor" strokeWidth="1.6" />
        {colorScheme === "auto" && <path d="M10 3a7 7 0 0 1 0 14z" fill="currentColor" />}
        {colorScheme === "dark" && <circle cx="10" cy="10" r="7" fill="currentColor" />}
      </svg>
    </button>
  );
}
