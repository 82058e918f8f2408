/** The patterns of a `.dockerignore`, in order, ready for a PatternMatcher. Never throws. */
export declare function parseDockerignore(text: string): readonly string[];
