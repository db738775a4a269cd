"""Google's `generateContent`, which the Gemini API and Vertex AI have in common."""
