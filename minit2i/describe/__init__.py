"""Pictures put into words: captions, questions and answers, a chat."""
